#!/bin/bash
cd /testbed
sed -i 2942s/+/-/ /testbed/bottle.py
