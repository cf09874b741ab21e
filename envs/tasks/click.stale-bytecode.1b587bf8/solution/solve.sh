#!/bin/bash
cd /testbed
rm /usr/lib/python3.11/asyncio/__pycache__/__init__.cpython-311.pyc
/usr/bin/python3 -m py_compile /usr/lib/python3.11/asyncio/__init__.py
chown root:root /usr/lib/python3.11/asyncio/__pycache__/__init__.cpython-311.pyc
