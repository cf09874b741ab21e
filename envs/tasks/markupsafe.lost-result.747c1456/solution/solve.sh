#!/bin/bash
cd /testbed
sed -i '364s/ s/ return s/' /testbed/src/markupsafe/__init__.py
