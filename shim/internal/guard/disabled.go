//go:build k2onoguard

package guard

const enabled = false
