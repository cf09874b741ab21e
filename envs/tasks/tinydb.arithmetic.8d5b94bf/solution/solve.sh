#!/bin/bash
cd /testbed
sed -i 31s/-=/+=/ /testbed/tinydb/operations.py
