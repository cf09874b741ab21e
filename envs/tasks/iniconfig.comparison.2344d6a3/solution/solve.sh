#!/bin/bash
cd /testbed
sed -i '249s/not in/in/' /testbed/src/iniconfig/__init__.py
