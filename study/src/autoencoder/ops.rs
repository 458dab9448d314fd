//! Operations of the networks as candle's custom operations. Each takes one pass over memory, where candle's own take several.
//!
//! They run on the CPU only. Other devices use candle's own operations. Tests of [`super::layers`] and [`super::train`] compare both, with
//! their gradients.

use super::vectors;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, InplaceOp2, InplaceOp3, Layout, Result, Shape, Tensor, bail};

/// The values of contiguous float32 storage.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&storage.as_slice::<f32>()?[from..to]),
        None => bail!("the values do not lie together; call contiguous() first"),
    }
}

/// `y = x w + b`, with tanh where `tanh` is set. x is `[m, k]`, w `[k, n]` and b `[n]`.
pub(super) struct Dense {
    pub tanh: bool,
    /// Whether x is the spectra, which need no gradient.
    pub first: bool,
}

impl CustomOp3 for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((m, k), (_, n)) = (lx.shape().dims2()?, lw.shape().dims2()?);
        let mut y = x.matmul(w, (1, m, n, k), lx, lw)?;
        let CpuStorage::F32(out) = &mut y else { bail!("only float32 is trained") };
        vectors::add_bias(out, values(b, lb)?, self.tanh);
        Ok((y, (m, n).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _b: &Tensor,
        y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = if self.tanh { y.apply_op2_no_bwd(&grad.contiguous()?, &TanhGradient)? } else { grad.contiguous()? };
        let to_x = if self.first { None } else { Some(grad.matmul(&w.t()?)?) };
        let to_b = grad.apply_op1_no_bwd(&ColumnSums)?;
        Ok((to_x, Some(x.t()?.matmul(&grad)?), Some(to_b)))
    }
}

/// Gradient `grad (1 - y²)` of `y = tanh(...)`.
struct TanhGradient;

impl CustomOp2 for TanhGradient {
    fn name(&self) -> &'static str {
        "tanh-gradient"
    }

    fn cpu_fwd(&self, y: &CpuStorage, ly: &Layout, grad: &CpuStorage, lg: &Layout) -> Result<(CpuStorage, Shape)> {
        let (y, grad) = (values(y, ly)?, values(grad, lg)?);
        let out: Vec<f32> = y.iter().zip(grad).map(|(y, g)| g * (1.0 - y * y)).collect();
        Ok((CpuStorage::F32(out), ly.shape().clone()))
    }
}

/// Sums over the rows of `[m, n]`.
struct ColumnSums;

impl CustomOp1 for ColumnSums {
    fn name(&self) -> &'static str {
        "column-sums"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, n) = lx.shape().dims2()?;
        let mut sums = vec![0.0_f32; n];
        for row in values(x, lx)?.chunks_exact(n) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        Ok((CpuStorage::F32(sums), n.into()))
    }
}

/// `y + b` along the last axis, with tanh where `tanh` is set.
pub(super) struct Bias {
    pub tanh: bool,
}

impl CustomOp2 for Bias {
    fn name(&self) -> &'static str {
        "bias"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, b: &CpuStorage, lb: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = values(x, lx)?.to_vec();
        vectors::add_bias(&mut out, values(b, lb)?, self.tanh);
        Ok((CpuStorage::F32(out), lx.shape().clone()))
    }

    fn bwd(&self, _x: &Tensor, b: &Tensor, y: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = if self.tanh { y.apply_op2_no_bwd(&grad.contiguous()?, &TanhGradient)? } else { grad.contiguous()? };
        let to_b = grad.reshape(((), b.elem_count()))?.apply_op1_no_bwd(&ColumnSums)?;
        Ok((Some(grad), Some(to_b)))
    }
}

/// Windows of a convolution over a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windows {
    /// Length of the signal.
    pub length: usize,
    /// Channels of the signal.
    pub channels: usize,
    /// Length of a window.
    pub kernel: usize,
    /// Distance from window to window.
    pub stride: usize,
    /// Zeros before the signal.
    pub before: usize,
    /// Zeros behind the signal.
    pub behind: usize,
}

impl Windows {
    /// Windows over a signal. Zeros at both ends let them cover it evenly.
    pub fn over(length: usize, channels: usize, kernel: usize, stride: usize) -> Self {
        let padding = if length < kernel { kernel - length } else { (stride - (length - kernel) % stride) % stride };
        Self { length, channels, kernel, stride, before: padding / 2, behind: padding - padding / 2 }
    }

    /// Number of windows.
    pub fn count(&self) -> usize {
        (self.length + self.before + self.behind - self.kernel) / self.stride + 1
    }

    /// The part of window `i` within the signal: start in the window, start in the signal, and length.
    fn part(&self, i: usize) -> (usize, usize, usize) {
        let begin = i * self.stride;
        let skip = self.before.saturating_sub(begin).min(self.kernel);
        let from = (begin + skip).saturating_sub(self.before);
        let count = (self.kernel - skip).min(self.length.saturating_sub(from));
        (skip * self.channels, from * self.channels, count * self.channels)
    }
}

/// Maps signals `[n, length, channels]` to the rows of their windows, `[n * windows, kernel * channels]`.
pub(super) struct Unfold(pub Windows);

impl CustomOp1 for Unfold {
    fn name(&self) -> &'static str {
        "unfold"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        let w = &self.0;
        let (signal, row) = (w.length * w.channels, w.kernel * w.channels);
        let x = values(x, lx)?;
        let n = x.len() / signal;
        let mut out = vec![0.0_f32; n * w.count() * row];
        for (signal, rows) in x.chunks_exact(signal).zip(out.chunks_exact_mut(w.count() * row)) {
            for (i, row) in rows.chunks_exact_mut(row).enumerate() {
                let (to, from, count) = w.part(i);
                row[to..to + count].copy_from_slice(&signal[from..from + count]);
            }
        }
        Ok((CpuStorage::F32(out), (n * w.count(), row).into()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(grad.contiguous()?.apply_op1_no_bwd(&Fold(self.0))?.reshape(x.shape())?))
    }
}

/// The transpose of [`Unfold`]. It adds the rows of windows where they overlap.
pub(super) struct Fold(pub Windows);

impl CustomOp1 for Fold {
    fn name(&self) -> &'static str {
        "fold"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        let w = &self.0;
        let (signal, row) = (w.length * w.channels, w.kernel * w.channels);
        let x = values(x, lx)?;
        let n = x.len() / (w.count() * row);
        let mut out = vec![0.0_f32; n * signal];
        for (rows, signal) in x.chunks_exact(w.count() * row).zip(out.chunks_exact_mut(signal)) {
            for (i, row) in rows.chunks_exact(row).enumerate() {
                let (from, to, count) = w.part(i);
                signal[to..to + count].iter_mut().zip(&row[from..from + count]).for_each(|(sum, x)| *sum += x);
            }
        }
        Ok((CpuStorage::F32(out), (n, w.length, w.channels).into()))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(grad.contiguous()?.apply_op1_no_bwd(&Unfold(self.0))?))
    }
}

/// Binary cross-entropy of sigmoid(z) and x, summed and divided by `count`.
pub(super) struct CrossEntropy {
    pub count: f32,
}

impl CustomOp2 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, z: &CpuStorage, lz: &Layout, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        let sum = vectors::cross_entropy(values(z, lz)?, values(x, lx)?);
        Ok((CpuStorage::F32(vec![(sum / f64::from(self.count)) as f32]), ().into()))
    }

    fn bwd(&self, z: &Tensor, x: &Tensor, _loss: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let scale = grad.to_scalar::<f32>()? / self.count;
        Ok((Some(z.apply_op2_no_bwd(x, &CrossEntropyGradient { scale })?), None))
    }
}

/// Gradient of the cross-entropy, `(sigmoid(z) - x) scale`.
struct CrossEntropyGradient {
    scale: f32,
}

impl CustomOp2 for CrossEntropyGradient {
    fn name(&self) -> &'static str {
        "cross-entropy-gradient"
    }

    fn cpu_fwd(&self, z: &CpuStorage, lz: &Layout, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = values(z, lz)?.to_vec();
        vectors::cross_entropy_gradient(&mut out, values(x, lx)?, self.scale);
        Ok((CpuStorage::F32(out), lz.shape().clone()))
    }
}

/// Mean square of the gradient: `v = rho v + (1 - rho) g²`.
pub(super) struct MeanSquare {
    pub rho: f32,
}

impl InplaceOp2 for MeanSquare {
    fn name(&self) -> &'static str {
        "mean-square"
    }

    fn cpu_fwd(&self, v: &mut CpuStorage, _lv: &Layout, g: &CpuStorage, lg: &Layout) -> Result<()> {
        let CpuStorage::F32(v) = v else { bail!("only float32 is trained") };
        let (keep, add) = (self.rho, 1.0 - self.rho);
        v.iter_mut().zip(values(g, lg)?).for_each(|(v, g)| *v = keep * *v + add * g * g);
        Ok(())
    }
}

/// Step of RMSprop: `w -= rate g / (sqrt(v) + epsilon)`.
pub(super) struct Step {
    pub rate: f32,
    pub epsilon: f32,
}

impl InplaceOp3 for Step {
    fn name(&self) -> &'static str {
        "rmsprop-step"
    }

    fn cpu_fwd(&self, w: &mut CpuStorage, _lw: &Layout, v: &CpuStorage, lv: &Layout, g: &CpuStorage, lg: &Layout) -> Result<()> {
        let CpuStorage::F32(w) = w else { bail!("only float32 is trained") };
        let (rate, epsilon) = (self.rate, self.epsilon);
        w.iter_mut().zip(values(v, lv)?.iter().zip(values(g, lg)?)).for_each(|(w, (v, g))| *w -= rate * g / (v.sqrt() + epsilon));
        Ok(())
    }
}
