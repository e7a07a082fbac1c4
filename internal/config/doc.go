// Package config turns boatlift.yaml and .boatlift.yaml into checked values, or names the line that is wrong.
package config
