#!/bin/bash
cd /testbed
sed -i '3110s/'"'"'\\r'"'"'/'"'"'\\n'"'"'/' /testbed/bottle.py
