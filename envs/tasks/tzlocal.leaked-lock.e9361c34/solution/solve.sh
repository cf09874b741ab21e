#!/bin/bash
cd /testbed
sed -i -e 114,115d -e '$d' /testbed/tzlocal/win32.py
