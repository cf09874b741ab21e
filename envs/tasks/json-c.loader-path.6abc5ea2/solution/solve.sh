#!/bin/bash
cd /testbed
rm /usr/local/lib/libjson-c.so.5
ldconfig
