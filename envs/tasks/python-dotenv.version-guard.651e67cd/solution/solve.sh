#!/bin/bash
cd /testbed
sed -i 227s/linux/win32/ /testbed/src/dotenv/cli.py
