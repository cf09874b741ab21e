#!/bin/bash
cd /testbed
rm /opt/venv/lib/python3.11/site-packages/distutils-compat.pth
rm -r /opt/vendor
