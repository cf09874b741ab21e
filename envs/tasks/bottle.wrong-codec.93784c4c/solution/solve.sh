#!/bin/bash
cd /testbed
sed -i '1314s/'"'"'\\n'"'"'/'"'"'\\r\\n'"'"'/' /testbed/bottle.py
