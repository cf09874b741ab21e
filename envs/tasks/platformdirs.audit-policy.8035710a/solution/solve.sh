#!/bin/bash
cd /testbed
sed -i '/^# local security policy$/,$d' /etc/python3.11/sitecustomize.py
