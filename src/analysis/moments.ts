/** Statistics of layer outputs over calibration data, as the runtime collects them and surgery uses them. */

export interface Moments {
  /** Positions (images × output pixels) they were taken over. */
  readonly count: number;
  /** E[y], per channel. */
  readonly mean: Float64Array;
  /** E[(y−μ)(y−μ)ᵀ], channels × channels. */
  readonly covariance: Float64Array;
}

/** Joint moments of two values of two networks on the same data. */
export interface CrossMoments {
  readonly meanY: Float64Array;
  readonly meanZ: Float64Array;
  /** Cov(Y, Z), channels of Y × channels of Z. */
  readonly crossYZ: Float64Array;
  /** Cov(Z, Z). */
  readonly covarianceZ: Float64Array;
}
