#!/bin/bash
cd /testbed
sed -i 108s/Snytax/Syntax/ /testbed/tzlocal/unix.py
