#!/bin/bash
cd /testbed
chmod 755 /opt/venv/lib/python3.11/site-packages/IPython/testing
