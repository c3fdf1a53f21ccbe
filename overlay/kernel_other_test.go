//go:build !linux

package overlay_test

// sameAsKernel compares with the kernel's overlayfs where there is one.
func (tr *tree) sameAsKernel() {}
