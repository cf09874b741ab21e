#!/bin/bash
cd /testbed
sed -i 224s/-=/+=/ /testbed/src/markupsafe/__init__.py
