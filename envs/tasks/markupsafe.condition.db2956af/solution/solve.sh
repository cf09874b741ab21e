#!/bin/bash
cd /testbed
sed -i '211s/not v/v/' /testbed/src/markupsafe/__init__.py
