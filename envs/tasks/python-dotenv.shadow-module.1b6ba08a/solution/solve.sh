#!/bin/bash
cd /testbed
rm /testbed/queue.py
