#!/bin/bash
cd /testbed
rm /testbed/yaml.py
