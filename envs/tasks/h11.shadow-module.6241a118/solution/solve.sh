#!/bin/bash
cd /testbed
rm /testbed/mimetypes.py
