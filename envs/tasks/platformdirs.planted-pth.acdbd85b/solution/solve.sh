#!/bin/bash
cd /testbed
rm /opt/venv/lib/python3.11/site-packages/site-overrides.pth
rm -r /usr/local/lib/python-legacy
