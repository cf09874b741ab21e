#!/bin/bash
cd /testbed
sed -i '/^TZ=/d' /etc/environment
