#!/bin/bash
cd /testbed
chmod 755 /usr/lib/python3.11/http
