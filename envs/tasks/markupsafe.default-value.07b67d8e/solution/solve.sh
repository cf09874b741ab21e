#!/bin/bash
cd /testbed
sed -i 184s/True/False/ /testbed/src/markupsafe/__init__.py
