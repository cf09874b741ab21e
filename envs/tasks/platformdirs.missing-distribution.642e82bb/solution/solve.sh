#!/bin/bash
cd /testbed
/opt/venv/bin/python -m pip install --no-deps appdirs==1.4.4
