#!/bin/bash
cd /testbed
sed -i -e 350,351d -e '$d' /testbed/src/markupsafe/__init__.py
