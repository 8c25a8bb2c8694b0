package com.example;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;

/**
 * What is read of an assignment; fields that releases to come may add are no error.
 *
 * @param experiment its key
 * @param version of the spec that decided
 * @param variant that the unit was given
 * @param unit such as {@code user:123}
 * @param reason why this variant: control, random, sticky, targeted
 */
@JsonIgnoreProperties(ignoreUnknown = true)
public record Assignment(
        String experiment, String version, String variant, String unit, String reason) {}
