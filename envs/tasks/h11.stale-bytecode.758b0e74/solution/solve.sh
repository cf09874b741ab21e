#!/bin/bash
cd /testbed
rm /usr/lib/python3.11/email/__pycache__/parser.cpython-311.pyc
/usr/bin/python3 -m py_compile /usr/lib/python3.11/email/parser.py
chown root:root /usr/lib/python3.11/email/__pycache__/parser.cpython-311.pyc
