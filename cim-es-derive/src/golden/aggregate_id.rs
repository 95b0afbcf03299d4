#[automatically_derived]
#[allow(deprecated)]
impl ::core::fmt::Display for MachineId {
    fn fmt(
        &self,
        the_formatter: &mut ::core::fmt::Formatter<'_>,
    ) -> ::core::fmt::Result {
        <String as ::cim_es::aggregate::IdField>::show(&self.0, the_formatter)
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::core::str::FromStr for MachineId {
    type Err = ::cim_es::aggregate::IdError;
    fn from_str(
        the_text: &str,
    ) -> ::core::result::Result<Self, ::cim_es::aggregate::IdError> {
        ::core::result::Result::map(
            <String as ::cim_es::aggregate::IdField>::read(the_text, "MachineId"),
            MachineId,
        )
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::aggregate::AggregateId for MachineId {
    fn text(
        &self,
    ) -> ::core::result::Result<
        ::cim_es::aggregate::IdText,
        ::cim_es::aggregate::IdTextError,
    > {
        ::cim_es::aggregate::IdText::new(&::std::string::ToString::to_string(self))
    }
    fn from_text(
        the_text: &::cim_es::aggregate::IdText,
    ) -> ::core::result::Result<Self, ::cim_es::aggregate::IdError> {
        <MachineId as ::core::str::FromStr>::from_str(the_text.as_str())
    }
}
