#!/bin/bash
cd /testbed
sed -i '/^LC_CTYPE=/d' /etc/environment
sed -i '/^PYTHONUTF8=/d' /etc/environment
sed -i '/^PYTHONCOERCECLOCALE=/d' /etc/environment
