#!/bin/bash
cd /testbed
sed -i 84s/True/False/ /testbed/tinydb/storages.py
