#!/bin/bash
cd /testbed
sed -i 16s/-/+/ /testbed/src/iniconfig/exceptions.py
