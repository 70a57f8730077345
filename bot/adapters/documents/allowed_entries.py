"""Which entries of a DICOM header a copy for experts may carry. What is not named here is left out.

The default is refusal: PS3.15 annex E lists what must go, and lists age; machines invent entries faster than lists.
"""

UIDS = frozenset(
    """
    SOPInstanceUID StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID SynchronizationFrameOfReferenceUID
    ReferencedSOPInstanceUID DimensionOrganizationUID ConcatenationUID UID IrradiationEventUID
    """.split()
)
"""Replaced by others that are the same within a case."""

STANDARD_UIDS = frozenset(
    """
    SOPClassUID ReferencedSOPClassUID CodingSchemeUID ContextUID MappingResourceUID
    """.split()
)
"""Kept where they are the standard's own."""

DATES = frozenset(
    """
    StudyDate SeriesDate AcquisitionDate ContentDate AcquisitionDateTime
    """.split()
)
"""Moved by a constant of the case; the time of day goes."""

SEQUENCES = frozenset(
    """
    SequenceOfUltrasoundRegions WaveformSequence ChannelDefinitionSequence ChannelSourceSequence
    ChannelSourceModifiersSequence ChannelSensitivityUnitsSequence WaveformAnnotationSequence
    ConceptNameCodeSequence ConceptCodeSequence MeasurementUnitsCodeSequence MeasuredValueSequence
    NumericValueQualifierCodeSequence ContentSequence ContentTemplateSequence ModifierCodeSequence ViewCodeSequence
    ViewModifierCodeSequence AnatomicRegionSequence AnatomicRegionModifierSequence PrimaryAnatomicStructureSequence
    TransducerPositionSequence TransducerOrientationSequence StageCodeSequence ModalityLUTSequence VOILUTSequence
    SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence PixelMeasuresSequence PlanePositionSequence
    PlaneOrientationSequence FrameContentSequence PixelValueTransformationSequence FrameVOILUTSequence
    FrameAnatomySequence CTImageFrameTypeSequence MRImageFrameTypeSequence
    CardiacSynchronizationSequence DimensionIndexSequence DimensionOrganizationSequence
    EnergyWindowInformationSequence EnergyWindowRangeSequence RotationInformationSequence
    DetectorInformationSequence GatedInformationSequence DataInformationSequence
    RadiopharmaceuticalInformationSequence RadionuclideCodeSequence RadiopharmaceuticalCodeSequence
    PatientOrientationCodeSequence PatientOrientationModifierCodeSequence PatientGantryRelationshipCodeSequence
    """.split()
)
"""Their items are treated like the header itself."""

WORDS = frozenset(
    """
    Manufacturer ManufacturerModelName CodeMeaning CodeValue CodingSchemeDesignator CodingSchemeVersion
    MultiplexGroupLabel ChannelLabel ModalityLUTType WindowCenterWidthExplanation TemplateIdentifier
    """.split()
)
"""Short texts, kept unless a name or number of the patient stands in them."""

VALUES = frozenset(
    """
    SpecificCharacterSet ImageType Modality ConversionType PatientSex PatientAge PatientSize PatientWeight
    StageNumber NumberOfStages ViewNumber NumberOfEventTimers EventTimeOffset HeartRate BodyPartExamined Laterality
    ImageLaterality ViewPosition PatientPosition PatientOrientation SeriesNumber AcquisitionNumber InstanceNumber
    SamplesPerPixel PhotometricInterpretation PlanarConfiguration NumberOfFrames FrameIncrementPointer Rows Columns
    PixelSpacing ImagerPixelSpacing NominalScannedPixelSpacing PixelAspectRatio BitsAllocated BitsStored HighBit
    PixelRepresentation SmallestImagePixelValue LargestImagePixelValue PixelPaddingValue PixelPaddingRangeLimit
    WindowCenter WindowWidth VOILUTFunction RescaleIntercept RescaleSlope RescaleType PixelIntensityRelationship
    PixelIntensityRelationshipSign LossyImageCompression LossyImageCompressionRatio LossyImageCompressionMethod
    RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableDescriptor
    BluePaletteColorLookupTableDescriptor RedPaletteColorLookupTableData GreenPaletteColorLookupTableData
    BluePaletteColorLookupTableData SegmentedRedPaletteColorLookupTableData
    SegmentedGreenPaletteColorLookupTableData SegmentedBluePaletteColorLookupTableData LUTDescriptor LUTData
    UltrasoundColorDataPresent CineRate RecommendedDisplayFrameRate FrameTime FrameTimeVector FrameDelay StartTrim
    StopTrim PreferredPlaybackSequencing EffectiveDuration ActualFrameDuration TriggerTime NominalInterval
    RRIntervalVector BeatRejectionFlag LowRRValue HighRRValue IntervalsAcquired IntervalsRejected
    CardiacNumberOfImages FrameAcquisitionNumber StackID InStackPositionNumber
    TemporalPositionIndex DimensionIndexValues DimensionIndexPointer FunctionalGroupPointer
    NominalPercentageOfCardiacPhase RegionSpatialFormat RegionDataType RegionFlags RegionLocationMinX0
    RegionLocationMinY0 RegionLocationMaxX1 RegionLocationMaxY1 ReferencePixelX0 ReferencePixelY0
    PhysicalUnitsXDirection PhysicalUnitsYDirection ReferencePixelPhysicalValueX ReferencePixelPhysicalValueY
    PhysicalDeltaX PhysicalDeltaY TransducerFrequency PulseRepetitionFrequency DopplerCorrectionAngle SteeringAngle
    DopplerSampleVolumeXPosition DopplerSampleVolumeYPosition PixelComponentOrganization PixelComponentRangeStart
    PixelComponentRangeStop PixelComponentPhysicalUnits PixelComponentDataType NumberOfTableBreakPoints
    TableOfXBreakPoints TableOfYBreakPoints TransducerType MechanicalIndex
    BoneThermalIndex SoftTissueThermalIndex DepthOfScanField FocusDepth ImageTransformationMatrix
    ImageTranslationVector WaveformOriginality NumberOfWaveformChannels NumberOfWaveformSamples SamplingFrequency
    WaveformBitsAllocated WaveformBitsStored WaveformSampleInterpretation WaveformPaddingValue WaveformData
    WaveformChannelNumber ChannelSensitivity ChannelSensitivityCorrectionFactor ChannelBaseline ChannelTimeSkew
    ChannelSampleSkew ChannelOffset ChannelStatus FilterLowFrequency FilterHighFrequency NotchFilterFrequency
    NotchFilterBandwidth ChannelMinimumValue ChannelMaximumValue MultiplexGroupTimeOffset ReferencedWaveformChannels
    AnnotationGroupNumber TemporalRangeType ReferencedSamplePositions ReferencedTimeOffsets NumericValue
    AcquisitionTimeSynchronized SynchronizationTrigger ValueType RelationshipType ContinuityOfContent
    FloatingPointValue MappingResource CompletionFlag VerificationFlag SliceThickness SpacingBetweenSlices
    SliceLocation ImagePositionPatient ImageOrientationPatient NumberOfSlices PositionReferenceIndicator KVP
    ExposureTime XRayTubeCurrent Exposure ConvolutionKernel ReconstructionDiameter DataCollectionDiameter
    GantryDetectorTilt TableHeight DistanceSourceToDetector DistanceSourceToPatient FieldOfViewShape
    FieldOfViewDimensions PositionerPrimaryAngle PositionerSecondaryAngle PositionerMotion IntensifierSize Grid
    RadiationSetting ContrastBolusVolume ContrastFlowRate FilterType FocalSpots ExposureTimeInuS XRayTubeCurrentInuA
    ScanningSequence SequenceVariant ScanOptions MRAcquisitionType RepetitionTime EchoTime InversionTime
    NumberOfAverages ImagingFrequency ImagedNucleus EchoNumbers MagneticFieldStrength NumberOfPhaseEncodingSteps
    EchoTrainLength PercentSampling PercentPhaseFieldOfView PixelBandwidth FlipAngle AcquisitionMatrix
    InPlanePhaseEncodingDirection EnergyWindowVector NumberOfEnergyWindows DetectorVector NumberOfDetectors
    PhaseVector NumberOfPhases RotationVector NumberOfRotations RRIntervalVector NumberOfRRIntervals TimeSlotVector
    NumberOfTimeSlots SliceVector AngularViewVector TimeSliceVector StartAngle AngularStep ScanArc RadialPosition
    RotationDirection EnergyWindowLowerLimit EnergyWindowUpperLimit CountsAccumulated
    AcquisitionTerminationCondition TypeOfDetectorMotion CollimatorType RadionuclideTotalDose RadionuclideHalfLife
    Units CorrectedImage DecayCorrection FrameType VolumetricProperties VolumeBasedCalculationTechnique
    PixelPresentation
    """.split()
)
"""Numbers and coded words that say how a picture or tracing was made."""
