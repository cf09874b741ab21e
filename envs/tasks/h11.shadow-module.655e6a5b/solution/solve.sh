#!/bin/bash
cd /testbed
rm /testbed/http.py
