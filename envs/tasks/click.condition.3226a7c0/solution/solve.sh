#!/bin/bash
cd /testbed
sed -i '136s/not h/h/' /testbed/src/click/types.py
