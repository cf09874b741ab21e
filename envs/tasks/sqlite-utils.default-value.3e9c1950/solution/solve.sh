#!/bin/bash
cd /testbed
sed -i 15s/True/False/ /testbed/sqlite_utils/recipes.py
