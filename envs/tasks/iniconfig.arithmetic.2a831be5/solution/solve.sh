#!/bin/bash
cd /testbed
sed -i 182s/-/+/ /testbed/src/iniconfig/__init__.py
