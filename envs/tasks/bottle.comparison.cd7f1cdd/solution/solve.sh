#!/bin/bash
cd /testbed
sed -i '2820s/!=/==/' /testbed/bottle.py
