#!/bin/bash
cd /testbed
chmod 755 /testbed/build/bin/json_process
