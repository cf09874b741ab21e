#!/bin/bash
cd /testbed
sed -i '240s/in/not in/' /testbed/src/iniconfig/__init__.py
