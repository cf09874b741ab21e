#!/bin/bash
cd /testbed
sed -i '73s/is not/is/' /testbed/tzlocal/utils.py
