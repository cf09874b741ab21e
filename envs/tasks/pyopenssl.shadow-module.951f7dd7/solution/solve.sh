#!/bin/bash
cd /testbed
rm -r /testbed/cffi
