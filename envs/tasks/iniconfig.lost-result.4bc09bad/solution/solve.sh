#!/bin/bash
cd /testbed
sed -i '242s/ S/ return S/' /testbed/src/iniconfig/__init__.py
