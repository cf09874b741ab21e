#!/bin/bash
cd /testbed
sed -i 132s/False/True/ /testbed/src/iniconfig/__init__.py
