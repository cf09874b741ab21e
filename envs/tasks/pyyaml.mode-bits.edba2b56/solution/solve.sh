#!/bin/bash
cd /testbed
chmod 644 /usr/lib/x86_64-linux-gnu/libyaml-0.so.2.0.9
