#!/bin/bash
cd /testbed
sed -i 351s/True/False/ /testbed/src/platformdirs/__init__.py
