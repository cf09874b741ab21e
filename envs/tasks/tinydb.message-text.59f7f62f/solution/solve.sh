#!/bin/bash
cd /testbed
sed -i 147s/Dcoument/Document/ /testbed/tinydb/table.py
