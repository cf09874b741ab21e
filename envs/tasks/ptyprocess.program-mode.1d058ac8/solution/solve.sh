#!/bin/bash
cd /testbed
chmod 755 /usr/bin/false
