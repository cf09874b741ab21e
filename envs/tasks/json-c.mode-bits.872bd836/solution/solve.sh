#!/bin/bash
cd /testbed
chmod 644 /usr/local/lib/libjson-c.so.5.2.0
