#!/bin/bash
cd /testbed
ldconfig
