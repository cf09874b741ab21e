#!/bin/bash
cd /testbed
sed -i 30s/+/-/ /testbed/tzlocal/utils.py
